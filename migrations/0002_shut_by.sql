-- 0002_shut_by: a claim asks each bucket who stands first before it.

-- Which of the lanes that a bucket shut goes first?
create index lane_shut_by on lane (shut_by, rank, head)
  where shut_until is not null and head is not null;
