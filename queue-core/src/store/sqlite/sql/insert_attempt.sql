-- insert_attempt: begin the record of an attempt.
-- Changes one row.
insert into attempt (job, epoch, number, worker, boot, way, claimed_at)
values (:job, :epoch, :number, :worker, :boot, :way, :now);
