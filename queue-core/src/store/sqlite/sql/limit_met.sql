-- limit_met: the limit that an attempt has reported itself.
-- Gives one row, with null where it reported none.
select limit_met
  from attempt
 where job = :job
   and epoch = :epoch;
