-- reopen_lanes_of_gate: let a gate decide anew, after it was changed. A lane with several ways is
-- shut by one gate of many, any of which may let it go on.
-- Changes as many rows as lanes were shut by it, or might go on through it.
update lane
   set shut_at = null, shut_until = null, shut_by = null, shut_by_gate = null,
       shut_by_budget = null
 where shut_by_gate = :gate
    or id in (
         select shut.id
           from lane as shut indexed by lane_shut_with_ways
           join json_each(shut.ways) as way
           join json_each(way.value, '$.gates') as passed
          where shut.shut_by_gate is not null
            and shut.ways <> '[]'
            and passed.value = :gate);
