-- cancels_of_worker: the leases of a worker whose jobs somebody asked to cancel.
select id, epoch, holder
  from job
 where state = 'in_progress'
   and worker = :worker
   and cancel_requested_at is not null;
