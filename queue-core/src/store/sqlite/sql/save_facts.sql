-- save_facts: note what was read of an agent's output, if the lease still stands. A session that
-- another attempt uses stays that one's.
-- Changes one row, or none when the lease is lost.
update attempt
   set agent = :agent,
       cost_usd = :cost_usd,
       session_id = case
         when :session is null then session_id
         when exists (
                select 1
                  from attempt as other
                 where other.session_id = :session
                   and other.ended_at is null
                   and (other.job <> :job or other.epoch <> :epoch))
           then session_id
         else :session
       end
 where job = :job
   and epoch = :epoch
   and exists (
         select 1
           from job
          where id = :job
            and state = 'in_progress'
            and epoch = :epoch
            and holder = :holder);
