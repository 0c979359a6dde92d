-- One replica says what its part of each deployment's numbers is, and is told everyone's. What it says is absolute, and
-- what is added to a total is the difference to what is held as its part: said twice, or again after this state was lost,
-- it comes to the same. Each total is in one hash with its parts, so that they are lost together or not at all.
--
-- KEYS: totals, replicas, cooling, minute
-- ARGV: replica, number, known (1: must be), last (1: goes), lease in ms, then of each deployment 14:
--       id, 6 lasting numbers, requests and tokens of the minute ('' is not said), in flight,
--       cooldown ('' none, '+ms' left, '=ms' deadline), its cause,
--       requests and tokens of the minute that it knows to have reserved ('' is not said)
-- Numbers that may be above 2^53 stay texts.
local WIDTH, LASTING, MINUTE = 14, {'k', 's', 'pn', 'pu', 'sn', 'su'}, {'r', 't'}
local DAY = 86400000

local replica, number, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The others: who is alive, what they have in flight, and who has been silent for so long that its parts can go.
local others, flying, knew = 0, {}, false
local replicas = redis.call('HGETALL', KEYS[2])
local gone = {}
for i = 1, #replicas, 2 do
  local said, seen, here, rest = string.match(replicas[i + 1], '^(%d+)|(%d+)|(%d)(.*)$')
  local silent = now - (tonumber(seen) or 0)
  if not said then
    gone[replicas[i]] = true
  elseif replicas[i] == replica then
    knew = true
    if number <= tonumber(said) then return {'late'} end
  elseif silent > DAY then
    gone[replicas[i]] = true
  elseif here == '1' and math.abs(silent) <= lease then
    others = others + 1
    for id, n in string.gmatch(rest, '|([^|]+)|(%d+)') do
      flying[id] = (flying[id] or 0) + tonumber(n)
    end
  end
end
if ARGV[3] == '1' and not knew then return {'unknown'} end

if next(gone) then
  for id in pairs(gone) do redis.call('HDEL', KEYS[2], id) end
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if gone[string.match(field, '^([^|]+)|[^|]+|')] then redis.call('HDEL', KEYS[1], field) end
  end
end

-- Takes the numbers from `at` on as this replica's parts; the totals.
local function count(key, id, names, at)
  local totals, parts = {}, {}
  for i, name in ipairs(names) do
    totals[i] = id .. '|' .. name
    parts[i] = replica .. '|' .. totals[i]
  end
  local held = redis.call('HMGET', key, unpack(parts))
  for i, total in ipairs(totals) do
    local new, old = ARGV[at + i], held[i] or '0'
    if new ~= '' and new ~= old then
      local added = redis.pcall('HINCRBY', key, total, new)
      -- A total that is full stays as it is.
      if type(added) == 'number' then
        if old ~= '0' then redis.call('HINCRBY', key, total, '-' .. old) end
        redis.call('HSET', key, parts[i], new)
      end
    end
  end
  return redis.call('HMGET', key, unpack(totals))
end

-- Of what the replica has reserved (reserve.lua), that of which it does not know yet is still on its way to it, and is part
-- of what it uses. What it knows of and is not held was lost.
local function on_its_way(field, known)
  local held = tonumber(redis.call('HGET', KEYS[4], field) or 0)
  if held < known then redis.call('HSET', KEYS[4], field, string.format('%.0f', known)) end
  return math.max(0, held - known)
end

-- The later of the deadline that is held and the one that is given.
local function cool(id, given, cause)
  local held = redis.call('HGET', KEYS[3], id)
  local until_, why = 0, ''
  if held then
    until_, why = string.match(held, '^(%d+)|(.*)$')
    until_ = tonumber(until_) or 0
  end
  if given ~= '' then
    local ms = tonumber(string.sub(given, 2))
    if string.sub(given, 1, 1) == '+' then ms = now + ms end
    if ms > until_ and ms > now then
      until_, why = ms, cause
      redis.call('HSET', KEYS[3], id, string.format('%.0f|%s', until_, why))
    end
  end
  if until_ > now then return until_, why end
  if held then redis.call('HDEL', KEYS[3], id) end
  return 0, ''
end

-- When these totals began, so that a replica sees if others have taken their place.
redis.call('HSETNX', KEYS[1], 'since', string.format('%.0f', now))
local since = redis.call('HGET', KEYS[1], 'since')

local answer = {'heard', string.format('%.0f', now), others, since}
local in_flight = {}
for at = 6, #ARGV, WIDTH do
  local id = ARGV[at]
  local totals = count(KEYS[1], id, LASTING, at)
  for _, total in ipairs(totals) do table.insert(answer, total or '0') end
  for i, name in ipairs(MINUTE) do
    local own, known = ARGV[at + 6 + i], tonumber(ARGV[at + 11 + i])
    if own ~= '' and known then
      local more = on_its_way(replica .. '|' .. id .. '|h' .. name, known)
      ARGV[at + 6 + i] = string.format('%.0f', own + more)
    end
  end
  local minute = count(KEYS[4], id, MINUTE, at + 6)
  for _, total in ipairs(minute) do table.insert(answer, total or '0') end
  table.insert(answer, flying[id] or 0)
  local until_, why = cool(id, ARGV[at + 10], ARGV[at + 11])
  table.insert(answer, string.format('%.0f', until_))
  table.insert(answer, why)
  if ARGV[at + 9] ~= '0' then table.insert(in_flight, '|' .. id .. '|' .. ARGV[at + 9]) end
end
redis.call('EXPIRE', KEYS[4], 180)

local here = ARGV[4] == '1' and 0 or 1
local said = string.format('%.0f|%.0f|%d', number, now, here)
redis.call('HSET', KEYS[2], replica, said .. table.concat(in_flight))
return answer
