-- save_checkpoint: save a value under the epoch that is running, unless a newer one saved.
-- A worker names its holder as well; what the job writes itself has none.
-- Changes one row, or none when the job does not run under this epoch and holder.
insert into checkpoint (job, name, value, epoch, at)
select :job, :name, :value, :epoch, :now
 where exists (
         select 1
           from job
          where id = :job
            and state = 'in_progress'
            and epoch = :epoch
            and (:holder is null or holder = :holder))
on conflict do update
   set value = excluded.value, epoch = excluded.epoch, at = excluded.at
 where excluded.epoch >= checkpoint.epoch;
