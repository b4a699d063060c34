-- gated: the pending jobs of these queues and this kind that wait at a closed gate: how many until a
-- person opens it, how many until a moment, and the first such moment. Takes a JSON array; empty
-- for all.
-- Gives one row.
select count(*) filter (where shut.until is null) as for_person,
       count(*) filter (where shut.until is not null) as for_time,
       min(shut.until) as next_at
  from (select lane.id, lane.queue,
               case when max(gate.until is null) then null else max(gate.until) end as until
          from gate
          join lane on lane.gates <> '[]'
                   and lane.head is not null
                   and lane.kind = :kind
                   and (:queues = '[]' or lane.queue in (select value from json_each(:queues)))
         where gate.stand = 'closed'
           and (gate.until is null or gate.until > :now)
           and exists (select 1 from json_each(lane.gates) where value = gate.name)
         group by lane.id) as shut
  join queue on queue.name = shut.queue and queue.paused_at is null
  join job on job.lane = shut.id and job.state = 'pending';
