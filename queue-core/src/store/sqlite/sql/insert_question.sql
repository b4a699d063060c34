-- insert_question: note what a running attempt asks.
-- Changes one row, or none when the job does not run under this epoch.
insert into question (job, number, epoch, text, choices, asked_at)
select :job,
       (select coalesce(max(number), 0) + 1 from question where job = :job),
       :epoch,
       :text,
       :choices,
       :asked_at
 where exists (
         select 1
           from job
          where id = :job
            and state = 'in_progress'
            and epoch = :epoch);
