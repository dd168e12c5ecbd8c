# Who may do what.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

run "plan" {
  command = plan

  variables {
    deployers = ["serviceAccount:pipeline@watchledger-example.iam.gserviceaccount.com"]
  }

  assert {
    condition     = length(distinct([for function in module.function : function.account])) == length(module.function)
    error_message = "Each function has an account of its own."
  }
  assert {
    condition = alltrue([
      for name, function in module.function : function.database_user == trimsuffix(function.account, ".gserviceaccount.com")
    ])
    error_message = "Each account has a user of its own in the database."
  }
  assert {
    condition     = google_storage_bucket_iam_member.archive.member == "serviceAccount:${module.function["archive_segments"].account}"
    error_message = "The archive is archival's alone."
  }
  assert {
    condition = alltrue([
      for bucket in [google_storage_bucket.archive, google_storage_bucket.sources] :
      bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access
    ])
    error_message = "Nothing of the archive or the sources can be made public."
  }
  assert {
    condition = alltrue([
      for name, job in google_cloud_scheduler_job.job :
      job.http_target[0].oidc_token[0].service_account_email == local.scheduler
      && job.http_target[0].oidc_token[0].audience == local.audiences[name]
    ])
    error_message = "A job is called by the scheduler's account, for the audience that the job asks for."
  }
  assert {
    condition     = google_sql_database_instance.primary.settings[0].ip_configuration[0].ipv4_enabled == false
    error_message = "The database has no public address."
  }
  assert {
    condition = alltrue([
      for member in google_project_iam_member.migrator : length(member.condition) == 1
    ])
    error_message = "The migrator may use one instance."
  }
}

run "a_key_of_our_own_is_used_if_there_is_one" {
  command = plan

  variables {
    archive = { kms_key = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k" }
  }

  assert {
    condition     = one(google_storage_bucket.archive.encryption).default_kms_key_name == var.archive.kms_key
    error_message = "The archive is encrypted with it."
  }
  assert {
    condition     = keys(google_kms_crypto_key_iam_member.storage) == [var.archive.kms_key]
    error_message = "Cloud Storage may use it."
  }
}
