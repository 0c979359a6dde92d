-- What was purged in a group.
-- KEYS: the generation; the stream of purged keys.
-- ARGV: the highest generation known to who asks; the last entry of the stream it has seen, or '' if it has seen none;
--       how many entries it reads at most.
-- Returns the generation, the stream's last entry, and the keys purged since.

-- A Redis that has lost its generation, or has gone back to an older one, is told: what was purged stays so.
local generation = tonumber(redis.call('GET', KEYS[1])) or 0
if generation < tonumber(ARGV[1]) then
  generation = ARGV[1]
  redis.call('SET', KEYS[1], generation)
end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
newest = newest and newest[1] or '0-0'
local purged = {}
if ARGV[2] ~= '' and ARGV[2] ~= newest then
  local read = redis.call('XREAD', 'COUNT', ARGV[3], 'STREAMS', KEYS[2], ARGV[2])
  for i, entry in ipairs(read and read[1][2] or {}) do
    purged[i] = entry[2][2]
  end
end
return {tonumber(generation), newest, purged}
