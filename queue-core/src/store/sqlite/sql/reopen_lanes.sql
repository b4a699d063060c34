-- reopen_lanes: open lanes whose bucket has filled up, whose gate may open or whose budget begins anew. A clock that stands
-- before the moment a lane was shut was set back: then bucket or gate decides anew.
-- Changes as many rows as lanes open.
update lane
   set shut_at = null, shut_until = null, shut_by = null, shut_by_gate = null,
       shut_by_budget = null
 where shut_until is not null
   and (shut_until <= :now or shut_at > :now);
