-- remove_dependencies: let a job come after nothing.
-- Changes as many rows as it had dependencies.
delete from dependency
 where job = :job;
