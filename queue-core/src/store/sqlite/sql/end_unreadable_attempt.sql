-- end_unreadable_attempt: end the attempt of a job whose row cannot be read.
-- Changes one row, or none when the job was not running.
update attempt
   set ended_at = :now,
       class = 'bad_payload',
       message = :message
 where job = :job
   and ended_at is null;
