-- remove_gate: forget a gate that is open and of which nothing else is known.
-- Changes one row, or none.
delete from gate
 where name = :name;
