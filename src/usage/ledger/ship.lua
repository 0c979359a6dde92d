-- Adds the sums of consecutive records to everyone's totals, unless they were added before.
-- KEYS: how far each ledger is added; the totals of each day that the sums are of; those of as many days that are kept no
-- longer.
-- ARGV: the ledger, its first record, its last, '1' if what lies before the first is gone for good, how many days; then
-- key, field and amount of each sum.
-- Returns the ledger's last record that is added. What was sent is, if that is its last.
local last = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local from, to = tonumber(ARGV[2]), tonumber(ARGV[3])
-- Added before, in whole or in part; or something is missing in between, which Redis has lost.
if from <= last or (from > last + 1 and ARGV[4] ~= '1') then
  return last
end
-- Amounts are strings all the way: pico-dollars do not fit into a number of Lua. A sum that is full stays as it is: an
-- error half-way through would leave what was added before it, to be added again.
for at = 6, #ARGV, 3 do
  redis.pcall('HINCRBY', KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2])
end
-- Not by their lifetime: keys that have one may be evicted before it ends.
for at = 2 + tonumber(ARGV[5]), #KEYS do
  redis.call('DEL', KEYS[at])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return to
