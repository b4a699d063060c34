-- begin_session: note how an agent's attempt begins, if its lease still stands and no other attempt
-- uses that session.
-- Changes one row, or none when the lease is lost or the session is in use.
update attempt
   set session_id = :session,
       rung = :rung
 where job = :job
   and epoch = :epoch
   and exists (
         select 1
           from job
          where id = :job
            and state = 'in_progress'
            and epoch = :epoch
            and holder = :holder)
   and not exists (
         select 1
           from attempt as other
          where other.session_id = :session
            and other.ended_at is null
            and (other.job <> :job or other.epoch <> :epoch));
