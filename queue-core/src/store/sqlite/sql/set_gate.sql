-- set_gate: write how a gate stands.
-- Changes one row.
insert or replace into gate (
  name, stand, reason, until, since, evidence, set_by, tries,
  probe_job, probe_epoch, probe_holder, probe_since,
  stagger_ms, last_start, passed_at, failures)
values (
  :name, :stand, :reason, :until, :since, :evidence, :set_by, :tries,
  :probe_job, :probe_epoch, :probe_holder, :probe_since,
  :stagger_ms, :last_start, :passed_at, :failures);
