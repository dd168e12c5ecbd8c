variable "requests_per_minute" {
  description = "How many requests a minute an address may send to a function: Google counts for each backend. A school behind one address is one: 300 learners send 6,000."
  type        = number
  default     = 9000

  validation {
    condition     = var.requests_per_minute >= 60
    error_message = "A player alone sends 12 a minute."
  }
}

variable "rules_only_watch" {
  description = "Whether the OWASP rules only log what they would refuse: while new ones are tried."
  type        = bool
  default     = false
}

locals {
  # The body is JSON of numbers and ids: at sensitivity 1 nothing in it looks like an attack.
  owasp = {
    cve-canary                  = 1000
    sqli-v33-stable             = 1100
    xss-v33-stable              = 1200
    lfi-v33-stable              = 1300
    rfi-v33-stable              = 1400
    rce-v33-stable              = 1500
    scannerdetection-v33-stable = 1600
    protocolattack-v33-stable   = 1700
    sessionfixation-v33-stable  = 1800
  }
}

resource "google_compute_security_policy" "edge" {
  #checkov:skip=CKV_GCP_73:cve-canary is the first of local.owasp
  name = local.name

  advanced_options_config {
    json_parsing = "STANDARD"
    log_level    = "NORMAL"
  }

  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable = true
    }
  }

  dynamic "rule" {
    for_each = local.owasp

    content {
      description = rule.key
      priority    = rule.value
      action      = "deny(403)"
      preview     = var.rules_only_watch

      match {
        expr {
          expression = "evaluatePreconfiguredWaf('${rule.key}', {'sensitivity': 1})"
        }
      }
    }
  }

  # After the others: who keeps to it is let in, and no later rule is asked.
  rule {
    description = "So many requests a minute from an address"
    priority    = 2000
    action      = "throttle"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    description = "Nobody comes this far"
    priority    = 2147483647
    action      = "deny(403)"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [google_project_service.needed]
}
