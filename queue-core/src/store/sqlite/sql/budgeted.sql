-- budgeted: the pending jobs of these queues and this kind that wait for a budget: how many until
-- a person gives more, how many until it begins anew, and the first such moment. What waits at a
-- closed gate as well is counted there. Takes a JSON array; empty for all.
-- Gives one row.
select count(*) filter (where budget.per = 'ever') as for_person,
       count(*) filter (where budget.per <> 'ever') as for_time,
       min(lane.shut_until) filter (where budget.per <> 'ever') as next_at
  from lane
  join budget on budget.name = lane.shut_by_budget
  join queue on queue.name = lane.queue and queue.paused_at is null
  cross join job on job.lane = lane.id and job.state = 'pending'
 where lane.shut_by_budget is not null
   and lane.shut_until > :now
   and lane.kind = :kind
   and (:queues = '[]' or lane.queue in (select value from json_each(:queues)))
   and not exists (
         select 1
           from gate
           join json_each(lane.gates) as passed on passed.value = gate.name
          where gate.stand = 'closed'
            and (gate.until is null or gate.until > :now));
