"""A page on which a person sees what is there and what is wrong, as it changes.

It only shows: nothing that a reader sends can change anything. It is served to this machine
alone, and to who has the token. In the order in which it is best read:

token     who may look
exchange  a request as it is read, an answer as it is written: bounded, and pure
gate      what is answered to whom: pure
updates   what of a picture has changed since the one before: pure
tail      events, as they are appended to the log
live      what all readers are shown, taken once for all of them, and only while there are any
connections  each of them served, bounded in time and size
server    the thread that serves them
showing   where it is shown, as settings and signals have it

`page.html`, `page.css`, `page.js`, `icon.svg` are served as they are. `docs/page.md` tells it
to users.
"""
