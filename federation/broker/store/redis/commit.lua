-- One commit: everything that was expected holds and everything is written, or nothing is.
--
-- KEYS[1] is the mark of this commit and ARGV[1] its life in seconds. Whoever lost the answer sends the same commit
-- again; the mark keeps it from being done twice. It is touched then, because WAIT looks at the last write of its
-- connection. Behind it come four arguments a step: what, the place of its key in KEYS, and two more.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('EXPIRE', KEYS[1], ARGV[1])
  return 0
end
for i = 2, #ARGV, 4 do
  local what, place = ARGV[i], tonumber(ARGV[i + 1])
  if what == 'is' and redis.call('GET', KEYS[place]) ~= ARGV[i + 2] then return place end
  if what == 'absent' and redis.call('EXISTS', KEYS[place]) == 1 then return place end
end
-- The first write of all: a server that may not write now refuses here, before anything has changed.
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
for i = 2, #ARGV, 4 do
  local what, key, a, b = ARGV[i], KEYS[tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + 3]
  if what == 'put' and b == '' then
    redis.call('SET', key, a)
  elseif what == 'put' then
    redis.call('SET', key, a, 'EX', b)
  elseif what == 'keep' then
    redis.call('SET', key, a, 'NX')
  elseif what == 'forget' then
    redis.call('DEL', key)
  elseif what == 'rank' then
    redis.call('ZADD', key, b, a)
  elseif what == 'enter' then
    redis.call('ZADD', key, 'NX', b, a)
  elseif what == 'append' and not redis.call('ZSCORE', key, a) then
    redis.call('ZADD', key, redis.call('INCR', KEYS[tonumber(b)]), a)
  elseif what == 'drop' then
    redis.call('ZREM', key, a)
  end
end
return 0
