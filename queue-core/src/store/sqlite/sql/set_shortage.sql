-- set_shortage: note what a worker has too little of to start jobs, or that it has enough.
-- Changes one row, or none when it is not known.
update worker
   set shortage = :shortage,
       short_since = case when :shortage is null then null else :now end
 where id = :worker;
