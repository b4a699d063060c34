-- adopt_attempt: note who took an attempt over.
-- Changes one row.
update attempt
   set adopted_by = :worker
 where job = :job
   and epoch = :epoch;
