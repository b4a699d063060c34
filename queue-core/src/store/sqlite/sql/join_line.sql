-- join_line: take the next place at the end of the line.
-- Gives and changes one row.
update line
   set place = place + 1,
       queued_at = max(queued_at, :now)
returning place, queued_at;
