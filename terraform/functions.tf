# What differs from function to function; what they share is modules/function.
#
# route          as in the function's @endpoint; the load balancer has the same, but none of a job
# concurrency    requests at once in an instance = threads = connections to the database
# connections    of a job, which takes one request and works with several
# max_instances  times connections is what the database must bear, see connections.tf
# reads_only     may be answered by the read replica, a moment behind
locals {
  functions = {
    record_progress = {
      route         = "POST /video/sessions/{sessionId}/progress"
      max_instances = 20
    }
    record_bulk_progress = {
      route         = "POST /video/progress/bulk"
      max_instances = 6
    }
    start_session = {
      route         = "POST /video/sessions"
      max_instances = 6
    }
    touch_session = {
      route         = "PUT /video/sessions/{sessionId}/heartbeat"
      max_instances = 6
    }
    close_session = {
      route         = "PUT POST /video/sessions/{sessionId}/close"
      max_instances = 6
    }
    complete_attempt = {
      route = "PUT /video/attempts/{attemptId}/complete"
    }
    find_progress = {
      route         = "GET /video/users/{userId}/lessons/{lessonId}/progress"
      max_instances = 6
      reads_only    = true
    }
    find_evidence = {
      route      = "GET /video/users/{userId}/lessons/{lessonId}/evidence"
      reads_only = true
    }
    list_unassigned_history = {
      route      = "GET /video/users/{userId}/unassigned-history"
      reads_only = true
    }
    summarize_skips = {
      route      = "GET /video/sessions/{sessionId}/skip-analytics"
      reads_only = true
    }
    summarize_engagement = {
      route      = "GET /video/lessons/{lessonId}/engagement"
      reads_only = true
    }
    find_lesson = {
      route      = "GET /video/lessons/{lessonId}"
      reads_only = true
    }
    set_lesson = {
      route = "PUT /video/lessons/{lessonId}"
    }
    assign_lesson = {
      route = "PUT /video/users/{userId}/lessons/{lessonId}/assignment"
    }
    unassign_lesson = {
      route = "DELETE /video/users/{userId}/lessons/{lessonId}/assignment"
    }
    sweep_stale_sessions = {
      route         = "POST /jobs/sweep-stale-sessions"
      max_instances = 2 # the scheduler may call twice; two share the work
      concurrency   = 1
      connections   = 4
    }
    maintain_partitions = {
      route         = "POST /jobs/maintain-partitions"
      max_instances = 2
      concurrency   = 1
      connections   = 2
    }
    archive_segments = {
      route         = "POST /jobs/archive-segments"
      max_instances = 2
      concurrency   = 1
      connections   = 4 # of who reads ahead, who compares, who waits for both, and the lock
      memory        = "2Gi"
    }
  }
}
