-- Purges one entry, and says so to all who may have a copy.
-- KEYS: the entry; the stream of purged keys.
-- ARGV: the entry's key; how many entries the stream keeps at least; how long it is kept, in milliseconds.
-- Returns whether there was such an entry.
local found = redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'key', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return found
