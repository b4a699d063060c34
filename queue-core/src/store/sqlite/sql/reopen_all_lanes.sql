-- reopen_all_lanes: let the buckets decide anew, after one of them was changed.
-- Changes as many rows as lanes were shut.
update lane
   set shut_at = null, shut_until = null, shut_by = null
 where shut_until is not null;
