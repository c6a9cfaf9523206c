"""A ledger in SQLite, with a transaction for each entry. Every worker keeps its connection open all the time."""
import sqlite3

FILE = '/data/ledger.db'
kept = None


def connect():
    return sqlite3.connect(FILE, timeout=10, isolation_level=None)


def ledger():
    global kept
    if kept is None:
        kept = connect()
    return kept


def app(env, start):
    if env['REQUEST_METHOD'] == 'POST':
        ledger().execute('insert into entries(name) values (?)', (env['QUERY_STRING'],))
        said = 'entered'
    else:
        said = str(ledger().execute('select count(*) from entries').fetchone()[0])
    start('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(said)))])
    return [said.encode()]


# Before the workers are there: gunicorn loads this once.
first = connect()
first.execute('pragma journal_mode=wal')
first.execute('create table if not exists entries(id integer primary key, name text not null)')
first.close()
