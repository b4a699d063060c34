-- meet_dependency: note whether a dependency is met.
-- Changes one row.
update dependency
   set met = :met
 where job = :job
   and parent = :parent;
