"""Two counters in the Redis that runs beside it: one is counted over its Unix socket, the other over TCP."""
import redis

redises = {
    'unix': redis.Redis(unix_socket_path='/run/redis.sock'),
    'tcp': redis.Redis(host='127.0.0.1', port=6379),
}


def app(env, start):
    name = env['PATH_INFO'].strip('/')
    if name not in redises:
        said = 'well'
    elif env['REQUEST_METHOD'] == 'POST':
        said = str(redises[name].incr(name))
    else:
        said = str(int(redises[name].get(name) or 0))
    start('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(said)))])
    return [said.encode()]
