-- reopen_lanes_of_budget: let a budget decide anew, after it was changed.
-- Changes as many rows as lanes were shut by it.
update lane
   set shut_at = null, shut_until = null, shut_by = null, shut_by_gate = null,
       shut_by_budget = null
 where shut_by_budget = :budget;
