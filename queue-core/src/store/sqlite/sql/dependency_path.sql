-- dependency_path: the way from a job to itself along what it comes after, if there is one.
-- Gives one row with the ids on the way as a JSON array, or none.
with recursive walk (id, path) as (
  select parent, json_array(job, parent)
    from dependency
   where job = :job
  union
  select dependency.parent, json_insert(walk.path, '$[#]', dependency.parent)
    from walk
    join dependency on dependency.job = walk.id
   where walk.id <> :job
     and json_array_length(walk.path) < 1000
)
select path
  from walk
 where id = :job
 limit 1;
