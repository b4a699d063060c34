-- gated: the pending jobs of these queues and this kind that wait at a closed gate: how many until a
-- person opens it, how many until a moment, and the first such moment. Takes a JSON array; empty
-- for all. A job waits for the last of its gates to open, and for the first of its ways. Until a
-- person comes counts as until the end of time.
-- Gives one row.
with closed as (
       select name, coalesce(until, 9223372036854775807) as until
         from gate
        where stand = 'closed'
          and (until is null or until > :now)),
     waiting as (
       select lane.id, lane.queue,
              max(coalesce((select max(closed.until)
                              from json_each(lane.gates) as passed
                              join closed on closed.name = passed.value), 0),
                  coalesce((select min(coalesce((
                                     select max(closed.until)
                                       from json_each(way.value, '$.gates') as passed
                                       join closed on closed.name = passed.value), 0))
                              from json_each(lane.ways) as way), 0)) as until
         from lane
        where (lane.gates <> '[]' or lane.ways <> '[]')
          and lane.head is not null
          and lane.kind = :kind
          and (:queues = '[]' or lane.queue in (select value from json_each(:queues)))
          and exists (select 1 from closed))
select count(*) filter (where waiting.until = 9223372036854775807) as for_person,
       count(*) filter (where waiting.until < 9223372036854775807) as for_time,
       min(waiting.until) filter (where waiting.until < 9223372036854775807) as next_at
  from waiting
  join queue on queue.name = waiting.queue and queue.paused_at is null
  cross join job on job.lane = waiting.id and job.state = 'pending'
 where waiting.until > 0;
