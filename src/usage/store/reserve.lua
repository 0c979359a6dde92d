-- Takes a place in this minute at the first deployment that has one, for one request and its estimated tokens.
--
-- KEYS[1]  the counts of a group's minutes, without the minute's number behind it
-- ARGV     the replica, the tokens, and for each deployment in the order of preference: its id, rpm, tpm
-- Returns  which one it is, from 1 (0: none); the time in microseconds; and for each that was asked the requests and
--          tokens there were before.
--
-- It counts in the totals and the replica's parts that exchange.lua keeps; `<replica>|<deployment>|hr` and `|ht` are what
-- the replica has reserved, by which the exchange tells a place that is not used from one that is not yet used.
local time = redis.call('TIME')
local key = KEYS[1] .. ':' .. math.floor(time[1] / 60)
local replica, tokens = ARGV[1], tonumber(ARGV[2])

-- The rules are those of router::scores::Limits: at the limit nothing fits, and what is larger than the whole limit may
-- have a minute to itself.
local function fits(requests, used, rpm, tpm)
  return requests < rpm and used < math.min(tpm, math.max(0, tpm - tokens) + 1)
end

local answer = {0, time[1] * 1000000 + time[2]}
for at = 3, #ARGV, 3 do
  local total = ARGV[at] .. '|'
  local part = replica .. '|' .. total
  local counts = redis.call('HMGET', key, total .. 'r', total .. 't')
  local requests, used = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
  answer[#answer + 1] = requests
  answer[#answer + 1] = used
  if fits(requests, used, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])) then
    for _, field in ipairs({total, part, part .. 'h'}) do
      redis.call('HINCRBY', key, field .. 'r', 1)
      redis.call('HINCRBY', key, field .. 't', tokens)
    end
    if redis.call('TTL', key) < 0 then
      redis.call('EXPIRE', key, 180)
    end
    answer[1] = (at - 3) / 3 + 1
    break
  end
end
return answer
