# What a plan refuses. Needs no cloud: the provider is a mock, and so are its answers.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

run "the_functions_fit_the_database" {
  command = plan

  assert {
    condition     = output.connections.primary <= output.connections.limit
    error_message = "Of ${output.connections.limit} connections ${output.connections.primary} may be used."
  }
  assert {
    condition = output.connections.primary == sum([
      for name, function in local.deployed : 2 * function.connections * function.max_instances
    ])
    error_message = "Every function's instances count, twice, because two revisions may run at once."
  }
}

run "a_plan_fails_that_opens_more_connections_than_the_database_has" {
  command = plan

  variables {
    instances = { record_progress = { max = 90 } }
  }

  expect_failures = [google_sql_database_instance.primary]
}

run "a_plan_fails_that_opens_more_connections_than_the_replica_has" {
  command = plan

  variables {
    instances = { find_progress = { max = 90 } }
    database = {
      tier            = "db-custom-4-16384"
      replica_tier    = "db-custom-2-7680"
      max_connections = 800
    }
  }

  expect_failures = [google_sql_database_instance.replica]
}

run "what_only_reads_works_with_the_replica_if_there_is_one" {
  command = plan

  variables {
    database = {
      tier            = "db-custom-4-16384"
      replica_tier    = "db-custom-2-7680"
      max_connections = 800
    }
  }

  assert {
    condition     = local.deployed["find_progress"].reads_replica && !local.deployed["record_progress"].reads_replica
    error_message = "Reads go to the replica, writes do not."
  }
  assert {
    condition     = output.connections.replica > 0 && output.connections.primary + output.connections.replica == sum(values(local.most_connections))
    error_message = "Each function's connections count where they are opened."
  }
}

run "there_is_no_postgresql_14" {
  command = plan

  variables {
    database = { version = 14, tier = "db-custom-1-3840", max_connections = 800 }
  }

  expect_failures = [var.database]
}

run "production_has_a_standby" {
  command = plan

  variables {
    environment = "production"
    packages    = "tests"
    database    = { tier = "db-custom-1-3840", max_connections = 800, availability = "ZONAL" }
  }

  expect_failures = [var.database, google_storage_bucket_object.source] # nor has this one archives
}

run "a_real_environment_wants_real_archives" {
  command = plan

  variables {
    environment = "staging"
    packages    = "tests"
  }

  expect_failures = [google_storage_bucket_object.source]
}

run "instances_are_those_of_functions_that_there_are" {
  command = plan

  variables {
    instances = { record_progres = { max = 3 } }
  }

  expect_failures = [var.instances]
}

run "the_scheduler_waits_half_an_hour_at_most" {
  command = plan

  variables {
    jobs = { archive_segments = { deadline_s = 3600 } }
  }

  expect_failures = [var.jobs]
}

run "an_origin_is_no_wildcard" {
  command = plan

  variables {
    allowed_origins = ["*"]
  }

  expect_failures = [var.allowed_origins]
}

run "the_migrator_is_not_everybodys" {
  command = plan

  variables {
    deployers = ["allUsers"]
  }

  expect_failures = [var.deployers]
}

run "the_replica_can_be_spared" {
  command = plan

  variables {
    database = {
      tier            = "db-custom-4-16384"
      replica_tier    = "db-custom-2-7680"
      replica_serves  = false
      max_connections = 800
    }
  }

  assert {
    condition     = output.connections.replica == 0 && output.connections.primary == sum(values(local.most_connections))
    error_message = "What only reads asks the primary then, and its connections count there."
  }
  assert {
    condition     = local.deployed["find_progress"].may_read == ["primary", "replica"] && local.deployed["set_lesson"].may_read == ["primary"]
    error_message = "What only reads may ask both, whichever it asks now."
  }
}
