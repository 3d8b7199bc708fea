# Types for the compiled build of tallies.py. Counts fit 64 bits.

cdef class Tallies:
    cdef public long long allowed
    cdef public long long rewritten
    cdef public long long denied
    cdef public long long on_hold
    cdef public long long total_us
    cdef public list total_buckets
    cdef public long long added_us
    cdef public list added_buckets
    cdef public long long rows
    cdef public long long sent_bytes
    cdef public long long masked_cells
    cdef public long long raw_uses
    cdef public long long plan_exact
    cdef public long long plan_shape
    cdef public long long plan_miss
    cdef public long long logins_ok
    cdef public long long logins_failed
    cdef public long long policy_loads_ok
    cdef public long long policy_loads_failed
    cdef public long long sessions
    cdef public dict limits
    cdef public dict shadow_decisions
    cdef public dict estimates
    cdef public long long pool_busy
    cdef public long long pool_idle
    cdef public long long pool_waiting
    cdef public long long pool_waits
    cdef public long long pool_waited_us
    cdef public long long pool_lent
    cdef public dict pool_pins
    cdef public long long interactive_running
    cdef public long long interactive_waiting
    cdef public long long interactive_waited_us
    cdef public list interactive_waits
    cdef public long long interactive_turned_away
    cdef public long long bulk_running
    cdef public long long bulk_waiting
    cdef public long long bulk_waited_us
    cdef public list bulk_waits
    cdef public long long bulk_turned_away
    cdef public long long bulk_elsewhere

    cpdef count_statement(self, object verdict, long long duration_us, long long rows, long long bytes_out,
                          long long masked_cells)
    cpdef count_plain(self, bint is_rewritten, long long added_us, long long duration_us, long long rows,
                      long long bytes_out, long long masked_cells)
    cdef _count_run(self, long long duration_us, long long rows, long long bytes_out, long long masked_cells)
    cpdef count_added(self, long long added_us)
