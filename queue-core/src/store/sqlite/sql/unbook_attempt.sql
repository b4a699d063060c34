-- unbook_attempt: take back what was booked of an attempt; what it says now comes in its place.
-- Changes as many rows as models were named.
delete from ledger
 where job = :job
   and epoch = :epoch;
