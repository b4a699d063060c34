-- gate: a gate as it is kept.
-- Gives one row, or none when nothing is known of it: then it is open.
select *
  from gate
 where name = :name;
