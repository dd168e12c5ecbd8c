variable "network_ranges" {
  description = "Addresses: of the functions' instances (at least a /26), and of what Google runs for us (the database)."
  type = object({
    functions = optional(string, "10.10.0.0/22")
    services  = optional(string, "10.20.0.0/20")
  })
  default = {}

  validation {
    condition     = tonumber(split("/", var.network_ranges.functions)[1]) <= 26
    error_message = "Direct VPC egress wants a /26 or larger: instances take addresses several at a time."
  }
}

resource "google_compute_network" "this" {
  #checkov:skip=CKV2_GCP_18:it has no machine to which a rule could apply; what is not allowed is denied
  name                    = local.name
  auto_create_subnetworks = false
  depends_on              = [google_project_service.needed]
}

resource "google_compute_subnetwork" "functions" {
  name                     = "${local.name}-functions"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = var.network_ranges.functions
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Where the database and the build machines that migrate it have their addresses.
resource "google_compute_global_address" "services" {
  name          = "${local.name}-services"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  network       = google_compute_network.this.id
  address       = split("/", var.network_ranges.services)[0]
  prefix_length = tonumber(split("/", var.network_ranges.services)[1])
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
}

# The database has no public address: what migrates it has to run in its network.
resource "google_cloudbuild_worker_pool" "deploy" {
  #checkov:skip=CKV_GCP_86:packages come from PyPI; nothing listens on it
  name     = local.name
  location = var.region

  worker_config {
    machine_type   = "e2-standard-2"
    disk_size_gb   = 100
    no_external_ip = false
  }

  network_config {
    peered_network = google_compute_network.this.id
  }

  depends_on = [google_service_networking_connection.services]
}
