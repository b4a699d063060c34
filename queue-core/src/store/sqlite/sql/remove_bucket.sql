-- remove_bucket: take a limit away.
-- Changes one row, or none when nobody set it.
delete from limit_bucket
 where name = :name;
