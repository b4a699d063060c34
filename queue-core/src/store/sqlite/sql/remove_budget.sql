-- remove_budget: take a budget away.
-- Changes one row, or none when there is no such budget.
delete from budget
 where name = :name;
