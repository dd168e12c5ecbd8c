variable "archive" {
  description = "How long a removed file can be brought back, after how many days files move to colder classes, and an own key (CMEK)."
  type = object({
    retained_days = optional(number, 90)
    colder = optional(map(number), {
      NEARLINE = 30
      COLDLINE = 90
      ARCHIVE  = 365
    })
    kms_key = optional(string)
  })
  default = {}

  validation {
    condition     = var.archive.retained_days >= 7 && var.archive.retained_days <= 90
    error_message = "Cloud Storage brings back what was removed 7 to 90 days ago."
  }
  validation {
    condition     = length(setsubtract(keys(var.archive.colder), ["NEARLINE", "COLDLINE", "ARCHIVE"])) == 0
    error_message = "The classes are NEARLINE, COLDLINE and ARCHIVE."
  }
}

# Retention is soft delete and versions, not a retention policy: archival itself removes what a broken-off run left
# of a month, and a policy would refuse that until its time is over.
resource "google_storage_bucket" "archive" {
  #checkov:skip=CKV_GCP_62:reads and writes are in the audit log, see below
  name                        = "${var.project_id}-${local.name}-archive"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = var.archive.retained_days * 86400
  }

  dynamic "lifecycle_rule" {
    for_each = var.archive.colder

    content {
      action {
        type          = "SetStorageClass"
        storage_class = lifecycle_rule.key
      }
      condition {
        age        = lifecycle_rule.value
        with_state = "LIVE"
      }
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.archive.retained_days
      with_state                 = "ARCHIVED" # not the live one
    }
  }

  dynamic "encryption" {
    for_each = toset(var.archive.kms_key == null ? [] : [var.archive.kms_key])

    content {
      default_kms_key_name = encryption.key
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.storage]
}

resource "google_storage_bucket_iam_member" "archive" {
  bucket = google_storage_bucket.archive.name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${module.function["archive_segments"].account}"
}

data "google_storage_project_service_account" "this" {}

resource "google_kms_crypto_key_iam_member" "storage" {
  for_each = toset(var.archive.kms_key == null ? [] : [var.archive.kms_key])

  crypto_key_id = each.key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${data.google_storage_project_service_account.this.email_address}"
}

resource "google_project_iam_audit_config" "storage" {
  project = var.project_id
  service = "storage.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
