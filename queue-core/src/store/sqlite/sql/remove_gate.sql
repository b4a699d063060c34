-- remove_gate: forget a gate that is open, of which nothing else is known, and for which nobody set anything.
-- Changes one row, or none.
delete from gate
 where name = :name;
