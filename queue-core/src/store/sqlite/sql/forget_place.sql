-- forget_place: let a job that was moved join its line anew when its time comes.
-- Changes one row.
update job
   set keeps_place = 0
 where id = :job;
