"""Polls to and from JSON lines, without secrets.

A file holds one resource of one account and one UTC day, one line a poll. While the day lasts it is
`ACCOUNT.RESOURCE.YYYY-MM-DD.jsonl.gz`, each line a gzip member of its own, so that a line is whole or
torn and never half. A finished day is packed into `….jsonl.xz`: gzip looks back 32 KB, less than
one page, xz sees the polls before and makes a hundredth of it. A poll is written to disk just before
its transaction commits; a small hidden file beside (`.tail`) says how long the file is and where its
last line begins. So a sync that was killed in between leaves a line that the next one finds and
applies, and a restored backup gets back all that it lacks: archive and database agree again. A torn
end is cut off. The folder belongs to one database, whose id is in `.database.json`.
"""

from etl.archive.files import Archive as Archive
from etl.archive.files import check_folder as check_folder
from etl.archive.line import Archived as Archived
from etl.archive.line import read_line as read_line
from etl.archive.packed import lines as lines
from etl.archive.polls import polls as polls
