-- queue_counts: how many jobs of each queue are in each state. Read from the index alone.
select queue, state, count(*) as jobs
  from job
 group by queue, state;
