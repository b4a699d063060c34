-- session_holder: the job whose attempt uses a session of an agent.
-- Gives one row, or none when nobody does.
select job
  from attempt
 where session_id = :session
   and ended_at is null;
