-- reopen_lanes: open lanes whose bucket has filled up. A clock that stands before the moment a
-- lane was shut was set back: then the bucket decides anew.
-- Changes as many rows as lanes open.
update lane
   set shut_at = null, shut_until = null, shut_by = null
 where shut_until is not null
   and (shut_until <= :now or shut_at > :now);
