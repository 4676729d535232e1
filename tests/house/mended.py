"""Which tests show that a defect of v0.6.3 is mended: row of ai-memory-compat(7) -> tests, by the page's sections.

Whoever adds a row to the page adds it here, with the tests that fail once the defect is back.
"""

from __future__ import annotations

from typing import Final

MENDED: Final = {
    "Every door": {
        "Refusals": ("tests/api/test_app.py::test_every_family_becomes_its_status_and_envelope",),
        "Timestamps": (
            "tests/model/test_instant.py::test_every_form_of_rfc_3339_is_read",
            "tests/model/test_instant.py::test_text_order_is_time_order",
            "tests/service/test_lookup.py::test_a_bad_parameter_of_a_list_is_named",
        ),
        "Title": (
            "tests/service/test_remember.py::test_a_blank_title_is_made_of_the_content_and_flagged",
            "tests/model/test_rules.py::test_what_is_within_the_limits_is_kept",
        ),
        "Namespace": (
            "tests/model/test_rules.py::test_what_is_within_the_limits_is_kept",
            "tests/model/test_rules.py::test_what_breaks_a_limit_is_refused_by_its_fields_name",
        ),
        "Tags": ("tests/model/test_rules.py::test_what_is_within_the_limits_is_kept",),
        "Source": ("tests/model/test_rules.py::test_what_is_within_the_limits_is_kept",),
        "Reserved namespaces": (
            "tests/service/test_remember.py::test_the_systems_namespaces_take_no_generic_store",
            "tests/service/test_edit.py::test_a_memory_does_not_move_into_the_systems_namespaces",
        ),
        "Reserved metadata": (
            "tests/service/test_remember.py::test_a_bad_field_is_named_and_nothing_is_written",
            "tests/service/test_remember.py::test_an_upsert_keeps_the_scope_unless_one_is_given",
            "tests/service/test_edit.py::test_an_edit_by_another_names_the_editor_and_keeps_author_and_metadata",
        ),
        "Store onto a taken title": (
            "tests/service/test_remember.py::test_the_same_author_updates_what_has_the_name",
            "tests/service/test_remember.py::test_another_author_edits_under_its_own_name_and_the_author_stays",
        ),
        "Store onto a taken title: expiry": (
            "tests/service/test_remember.py::test_an_upsert_shortens_a_life_only_if_the_caller_says_so",
            (
                "tests/service/test_compatibility.py::"
                "test_a_life_that_long_memories_are_given_is_not_taken_by_storing_them_again"
            ),
        ),
        "Names of private memories": ("tests/service/test_remember.py::test_private_names_are_each_authors_own",),
        "Limits out of range": (
            "tests/api/test_compatibility.py::test_a_refusal_has_its_status_and_writes_nothing",
            "tests/service/test_recall.py::test_a_bad_field_of_a_recall_is_named",
        ),
        "Ids by prefix": (
            "tests/service/test_lookup.py::test_a_prefix_of_four_characters_finds_the_only_one",
            "tests/service/test_edit.py::test_a_unique_prefix_names_the_memory_to_update",
            "tests/service/test_edit.py::test_a_prefix_where_the_whole_id_is_needed_is_refused_with_the_id_it_fits",
        ),
        "Expired memories": (
            (
                "tests/service/test_visibility.py::"
                "test_an_expired_memory_is_invisible_everywhere_before_anything_collects_it"
            ),
        ),
        "Recall of words without letters": (
            "tests/service/test_recall.py::test_a_question_without_words_finds_nothing",
            "tests/search/test_query.py::test_text_without_a_word_finds_nothing_not_even_the_word_empty",
        ),
        "Length of a question": (
            "tests/service/test_recall.py::test_a_question_must_be_there_and_of_a_size",
            "tests/search/test_query.py::test_at_most_64_words_and_no_blobs_are_looked_up",
        ),
        "Recall within a namespace": (
            "tests/service/test_recall.py::test_with_vectors_a_small_namespace_among_many_gets_its_exact_best",
        ),
        "Order of recall": (
            "tests/search/test_scoring.py::test_irrelevant_maximal_row_never_outranks_a_clearly_relevant_plain_row",
            "tests/search/test_fusion.py::test_every_row_comes_once_in_order_with_a_score_in_0_to_1",
        ),
        "Recall of nothing relevant": (
            "tests/service/test_recall_ranking.py::test_nothing_relevant_is_an_answer_that_says_how_many_fell",
        ),
        "Superseded memories in recall": (
            (
                "tests/service/test_recall_ranking.py::"
                "test_a_superseded_memory_never_appears_in_recall_and_stays_in_get_and_list"
            ),
            (
                "tests/service/test_recall_ranking.py::"
                "test_of_contradicting_facts_the_newer_comes_first_and_the_older_is_marked"
            ),
        ),
        "Reserved namespaces in answers": (
            "tests/service/test_reserved_reads.py::test_a_curators_report_is_in_no_answer_to_who_names_no_namespace",
            "tests/service/test_reserved_reads.py::test_who_names_its_namespace_finds_a_report",
        ),
        "Age in recall": (
            (
                "tests/service/test_compatibility.py::"
                "test_what_was_corrected_lately_counts_as_young_whenever_it_was_created"
            ),
        ),
        "Extension by recall": (
            "tests/service/test_lifetimes.py::test_an_extension_never_shortens_and_gains_a_quarter_of_the_step",
        ),
        "Promotion by recall": (
            "tests/service/test_lifetimes.py::test_what_recalls_earn_is_no_change_of_the_text",
        ),
        "context_tokens of recall": (
            "tests/search/test_engine.py::test_context_bends_a_question_and_the_sum_is_a_unit_vector",
            "tests/service/test_recall.py::test_a_context_moves_the_meaning_that_is_asked_for",
        ),
        "Token budget": (
            "tests/service/test_recall.py::test_a_budget_skips_what_does_not_fit_and_always_gives_the_first",
        ),
        "Delete": (
            "tests/service/test_edit.py::test_a_deleted_id_never_comes_back",
            "tests/service/test_transfer.py::test_what_was_deleted_here_does_not_come_back_by_import",
        ),
        "Links to nothing": ("tests/service/test_linking.py::test_a_missing_end_is_named",),
        "Links and the archive": ("tests/service/test_linking.py::test_a_link_shows_while_both_its_ends_do",),
        "Link again after its end": (
            "tests/service/test_graph.py::test_stated_anew_it_holds_from_now_and_keeps_when_it_held_before",
        ),
        "Validity of a link": ("tests/service/test_linking.py::test_a_bad_link_is_refused_by_its_field",),
        "Who stated a link": ("tests/service/test_graph.py::test_only_links_of_the_allowed_agents_are_followed",),
        "Invalidating a link": (
            "tests/service/test_graph.py::test_a_link_is_given_its_end_with_who_and_why",
            "tests/service/test_graph.py::test_one_that_ended_changes_only_if_another_end_is_named",
            "tests/service/test_graph.py::test_what_makes_no_end_is_refused_and_nothing_is_written",
        ),
        "Graph queries: ended links": (
            "tests/service/test_graph.py::test_only_links_that_hold_are_followed_at_now_at_a_moment_or_ever",
        ),
        "Graph queries: what is on the way": (
            "tests/service/test_graph.py::test_a_path_ends_at_what_is_expired_archived_or_hidden",
            "tests/service/test_graph.py::test_a_dense_graph_is_walked_no_further_than_the_bound",
        ),
        "Entities: what they are": (
            "tests/service/test_entities.py::test_generic_writes_leave_an_entity_one",
            "tests/store/test_replay.py::test_the_aliases_of_a_dead_entity_are_absent_whatever_came_first",
        ),
        "Entities: limits": (
            "tests/service/test_entities.py::test_an_entity_has_at_most_two_hundred_aliases",
            "tests/service/test_entities.py::test_a_wrong_field_is_refused_and_nothing_is_written",
        ),
        "Entities by alias": (
            "tests/service/test_entities.py::test_the_canonical_name_finds_it_too_though_it_is_no_alias",
        ),
        "Contradictions": (
            "tests/service/test_contradictions.py::test_the_topic_is_looked_for_before_the_limit_counts",
            "tests/service/test_contradictions.py::test_pairs_beyond_the_bound_are_left_out_and_said",
            "tests/service/test_contradictions.py::test_a_pair_of_which_one_supersedes_the_other_is_settled",
        ),
        "Taxonomy below a prefix": (
            "tests/service/test_taxonomy.py::test_signs_that_patterns_know_are_signs_like_others",
            "tests/service/test_taxonomy.py::test_only_what_the_caller_may_see_counts",
        ),
        "Duplicates": (
            "tests/service/test_duplicates.py::test_the_same_text_is_found_without_a_model",
            "tests/service/test_duplicates.py::test_long_texts_with_one_beginning_are_two",
            "tests/service/test_duplicates.py::test_a_wrong_field_is_refused",
        ),
        "Resolve": (
            "tests/service/test_contradictions.py::test_the_winner_supersedes_and_the_loser_weighs_little_in_one_op",
        ),
        "Promotion into an ancestor that has the title": (
            "tests/service/test_edit.py::test_a_copy_does_not_overwrite_what_has_the_name_above",
        ),
        "Restore": (
            "tests/service/test_archive.py::test_a_memory_comes_back_with_all_that_it_had",
            "tests/service/test_archive.py::test_life_goes_on_where_it_was_and_anew_if_it_was_over",
        ),
        "Restore onto a taken id or title": (
            "tests/service/test_archive.py::test_a_memory_does_not_come_back_onto_a_name_that_was_taken_meanwhile",
            "tests/api/test_routes.py::test_archive_holds_and_gives_back",
        ),
        "Forget": ("tests/service/test_forgetting.py::test_undo_brings_back_exactly_what_went_as_it_was",),
        "Forget: reserved namespaces": (
            "tests/service/test_compatibility.py::test_a_forget_never_reaches_what_belongs_to_the_system",
        ),
        "Forget: pattern": ("tests/service/test_forgetting.py::test_an_identifier_has_to_stand_there_as_it_is",),
        "Forget: how many": ("tests/service/test_forgetting.py::test_more_than_one_request_takes_is_said",),
        "Consolidate: sources": (
            "tests/service/test_consolidating.py::test_the_sources_go_to_the_archive_and_the_new_memory_names_them",
            "tests/service/test_autoconsolidating.py::test_each_group_becomes_one_long_memory",
        ),
        "Consolidate: unknown id, taken title": (
            "tests/service/test_consolidating.py::test_an_unknown_or_archived_id_is_not_found_by_its_place",
            "tests/service/test_consolidating.py::test_a_title_of_a_source_is_free_and_of_another_memory_is_not",
        ),
        "Consolidate: metadata": (
            "tests/service/test_merging.py::test_later_metadata_wins_and_what_one_source_is_or_may_stays_behind",
            "tests/service/test_merging.py::test_the_strictest_scope_wins",
        ),
        "Consolidate: expiry": ("tests/service/test_consolidating.py::test_it_expires_as_its_tier_does",),
        "Consolidate without a summary": (
            "tests/service/test_consolidating.py::test_without_a_summary_the_model_writes_one",
            "tests/service/test_consolidating.py::test_without_a_model_it_is_needed",
        ),
        "Curator without a language model": (
            "tests/service/test_curation.py::test_of_duplicates_the_newest_stays_and_lives_as_long_as_any",
            "tests/service/test_curation.py::test_the_cycle_goes_on_without_a_model_that_fails",
        ),
        "Curator: which memories": ("tests/service/test_curation.py::test_each_stretch_has_its_turn",),
        "Curator: consolidation": (
            "tests/service/test_curation.py::test_what_says_more_or_is_another_authors_stays",
            "tests/service/test_similarity.py::test_only_what_loses_nothing_is_a_duplicate",
            "tests/service/test_similarity.py::test_what_is_private_to_two_is_not_put_together",
        ),
        "Curator: forgetting": (
            "tests/service/test_curation.py::test_a_contradicted_memory_is_archived_and_never_deleted",
            "tests/service/test_curation.py::test_a_word_of_the_model_alone_takes_nothing_away",
            "tests/service/test_curation.py::test_a_less_certain_or_less_visible_word_takes_nothing_away",
        ),
        "Curator: priorities": (
            "tests/service/test_curation.py::test_priority_goes_up_by_one_a_week_and_down_by_one_a_month",
        ),
        "Curator: record of rollback": (
            "tests/service/test_curation.py::test_act_and_record_are_one_op_and_the_record_holds_no_text",
        ),
        "Curator: rollback": (
            "tests/service/test_curation.py::test_rollback_onto_a_taken_name_is_refused_whole",
            "tests/service/test_curation.py::test_the_last_ones_are_those_not_reversed_yet_the_latest_first",
            "tests/service/test_curation.py::test_what_a_person_took_back_is_not_done_again_unless_it_changes",
        ),
        "Curator: reports": (
            "tests/service/test_curation.py::test_a_report_is_kept_with_the_fields_of_old_and_an_expiry",
        ),
        "Curator: max_ops": (
            "tests/service/test_curation.py::test_acts_are_bounded_and_the_rest_is_done_in_the_next_cycles",
        ),
        "Purge without a choice": (
            "tests/service/test_archive.py::test_a_purge_wants_an_age_or_the_express_wish_for_all",
        ),
        "Import": (
            "tests/service/test_transfer.py::test_a_newer_item_brings_the_memory_up_to_date_and_an_older_one_does_not",
            "tests/service/test_transfer.py::test_bad_links_are_refused_one_by_one",
            "tests/service/test_transfer.py::test_a_link_keeps_its_time_and_its_observer_if_the_source_is_trusted",
            "tests/service/test_transfer.py::test_authors_become_the_caller_unless_the_source_is_trusted",
        ),
        "Import from the future": (
            "tests/service/test_transfer.py::test_each_bad_item_is_refused_with_its_reason_and_the_others_are_stored",
        ),
        "Export": (
            "tests/service/test_exporting.py::test_a_large_store_is_exported_in_pages_only",
            (
                "tests/service/test_exporting.py::"
                "test_an_export_of_any_store_brought_into_an_empty_one_gives_the_same_digest"
            ),
        ),
        "Import of what was deleted or archived here": (
            "tests/service/test_transfer.py::test_what_was_deleted_here_does_not_come_back_by_import",
            (
                "tests/service/test_transfer.py::"
                "test_what_was_archived_here_comes_back_only_by_a_row_that_was_changed_afterwards"
            ),
        ),
        "Import of what has expired": (
            "tests/service/test_transfer.py::test_what_expired_since_it_was_exported_goes_into_the_archive_once",
        ),
        "Messages": (
            "tests/service/test_messages.py::test_no_generic_read_shows_a_message_to_anybody",
            "tests/service/test_messages.py::test_no_generic_write_reaches_a_message",
        ),
        "Messages of one title": (
            "tests/service/test_messages.py::test_messages_of_one_title_are_messages_of_their_own",
        ),
        "Sender of a message": (
            "tests/api/test_routes_agents.py::test_a_message_has_the_fields_of_v063_and_comes_from_the_header",
        ),
        "Life of a message": (
            "tests/service/test_messages.py::test_an_unread_message_is_kept",
            "tests/service/test_messages.py::test_from_its_reading_a_message_lives_as_its_tier_says",
        ),
        "Inbox of another agent": ("tests/service/test_messages.py::test_only_the_recipient_reads_marks_and_deletes",),
        "Unread messages only": ("tests/service/test_messages.py::test_what_is_unread_is_picked_before_the_limit",),
        "A full inbox": ("tests/service/test_messages.py::test_a_full_inbox_takes_no_more_until_something_is_read",),
        "Who is asking": (
            "tests/api/test_identity.py::test_a_claim_of_another_agent_is_refused_and_writes_nothing",
            "tests/api/test_identity.py::test_without_a_key_nobody_gets_in_over_tcp_but_health_answers",
            "tests/api/test_guard.py::test_once_agents_have_keys_each_caller_is_whom_its_key_says",
        ),
        "What concerns the node": ("tests/api/test_identity.py::test_administration_is_for_operators",),
        "as_agent": ("tests/api/test_identity.py::test_a_view_is_narrowed_to_a_place_at_or_below_the_home",),
        "Who sees a memory": (
            "tests/governance/test_sights.py::test_a_caller_is_shown_what_it_may_see_and_no_word_of_anything_else",
            "tests/governance/test_sights.py::test_counts_are_of_what_the_caller_sees",
            "tests/governance/test_doors.py::test_no_door_changes_what_its_caller_may_not_see",
        ),
        "What scopes mean": ("tests/model/test_sight.py::test_a_home_sees_the_scope_at_these_namespaces",),
        "Who changes a scope": ("tests/governance/test_doors.py::test_a_scope_is_changed_by_its_author_and_operators",),
        "Names that hidden memories have": (
            (
                "tests/service/test_names.py::"
                "test_a_store_onto_a_hidden_name_leaves_that_memory_alone_and_stands_beside_it"
            ),
            (
                "tests/service/test_names.py::"
                "test_who_asks_for_just_a_hidden_name_is_told_that_it_is_taken_and_not_by_what"
            ),
        ),
        "Registrations of agents": (
            "tests/service/test_agents.py::test_a_registration_is_no_memory",
            "tests/service/test_agents.py::test_a_registered_agent_is_listed_with_who_registered_it",
            "tests/service/test_agents.py::test_an_agent_may_be_taken_out_and_register_anew",
        ),
        "A damaged registration": (
            "tests/service/test_agents.py::test_a_damaged_row_is_counted_and_does_not_hide_the_others",
        ),
        "Approvals: who decides": (
            "tests/service/test_approvals.py::test_nobody_approves_what_it_asked_for_and_may_withdraw_it",
            "tests/service/test_approvals.py::test_only_whoever_the_policy_names_decides",
            "tests/service/test_approvals.py::test_a_consensus_counts_registered_agents_once_whatever_the_case",
        ),
        "Approvals: by which policy": (
            "tests/service/test_approvals.py::test_what_was_queued_is_decided_by_the_policy_of_its_queueing",
        ),
        "Approvals: what is done": (
            (
                "tests/service/test_approvals.py::"
                "test_an_approval_does_what_was_asked_in_one_op_with_the_ids_that_were_told"
            ),
            "tests/campaign/test_approvals.py::test_replicas_that_know_the_same_agree_and_an_effect_happens_once",
        ),
        "Approvals: what has changed meanwhile": (
            "tests/service/test_approvals.py::test_a_memory_that_was_changed_meanwhile_is_not_overwritten",
            "tests/service/test_approvals.py::test_a_name_that_was_taken_meanwhile_makes_an_approval_fail",
        ),
        "Approvals: lifetimes": (
            "tests/service/test_approvals.py::test_a_lifetime_that_ran_out_while_waiting_begins_with_the_approval",
        ),
        "Approvals: expiry, comments, asking again": (
            "tests/service/test_approvals.py::test_what_expired_is_decided_so_and_can_be_asked_for_again",
            "tests/service/test_approvals.py::test_comments_are_kept_in_their_order_and_bounded",
            "tests/api/test_routes_approvals.py::test_capabilities_tell_how_many_wait_and_how_long",
        ),
        "Approvals: who sees them": (
            "tests/service/test_approvals.py::test_an_action_that_does_not_show_is_not_found",
        ),
        "Approvals: retries": (
            "tests/service/test_writing.py::test_a_retry_under_the_same_key_is_told_of_the_same_pending_action",
        ),
        "Webhooks: which events": (
            "tests/service/test_delivering.py::test_every_write_is_told_once_in_order_with_v063s_fields",
        ),
        "Webhooks: who is told what": (
            "tests/service/test_delivering.py::test_a_subscriber_is_told_what_it_may_see_and_no_more",
            "tests/service/test_delivering.py::test_a_key_that_was_revoked_stops_what_waits",
        ),
        "Webhooks: attempts": (
            "tests/service/test_delivering.py::test_a_failing_receiver_is_tried_again_with_growing_pauses_and_hinders_nobody",
            "tests/service/test_delivering.py::test_what_is_given_up_is_listed_and_tried_anew_on_order",
            "tests/service/test_delivering.py::test_what_waited_when_the_process_ended_is_sent_after_the_next_start",
        ),
        "Webhooks: where they lead": (
            "tests/webhooks/test_targets.py::test_a_trick_is_refused_by_name",
            "tests/webhooks/test_sender.py::test_the_connection_goes_to_the_vetted_address_under_the_hosts_name",
            "tests/webhooks/test_sender.py::test_a_redirect_is_not_followed",
            "tests/webhooks/test_sender.py::test_a_name_that_is_unknown_is_no_permission",
        ),
        "Webhooks: signature": (
            "tests/webhooks/test_sender.py::test_a_delivery_is_signed_as_v0_6_3_signs_it",
            "tests/webhooks/test_signing.py::test_the_manuals_receiver_verifies_a_delivery",
        ),
        "Subscriptions of others": (
            "tests/service/test_subscriptions.py::test_with_keys_only_the_maker_and_operators_see_and_end_a_subscription",
        ),
        "Subscribing unregistered": ("tests/service/test_subscriptions.py::test_nobody_is_registered_by_subscribing",),
        "Statistics": (
            "tests/service/test_compatibility.py::test_statistics_count_the_living_and_measure_the_log_too",
        ),
        "Capabilities": (
            "tests/service/test_abilities.py::test_by_words_alone_a_node_claims_nothing_else",
            "tests/service/test_abilities.py::test_a_language_model_counts_while_it_answers_and_its_hooks_with_it",
        ),
        "Language model": (
            "tests/language/test_prompts.py::test_a_text_that_knows_the_boundary_cannot_end_its_quotation",
            "tests/language/test_answers.py::test_whatever_a_model_says_is_usable_or_refused",
            "tests/service/test_hooks.py::test_a_store_does_not_wait_for_the_model",
            "tests/language/test_ollama.py::test_a_model_that_takes_too_long_is_given_up",
        ),
        "Language model: settings": (
            "tests/config/test_models.py::test_models_and_addresses_may_be_named",
            "tests/supervisor/test_node.py::test_an_upper_tier_has_its_models_and_tags_what_is_stored",
        ),
        "Language model: contradiction": (
            "tests/language/test_answers.py::test_a_verdict_is_yes_or_no",
            "tests/language/test_answers.py::test_any_other_verdict_is_refused",
            "tests/service/test_hooks.py::test_what_a_model_confirms_deletes_and_changes_nothing_else",
        ),
        "Vectors by Ollama": (
            "tests/language/test_embedding.py::test_vectors_are_of_length_one_whatever_the_server_says",
            "tests/service/test_indexer_files.py::test_a_model_change_embeds_anew_and_answers_by_words_meanwhile",
            (
                "tests/service/test_indexer.py::"
                "test_the_second_model_serves_if_the_first_is_not_there_and_both_are_remembered"
            ),
        ),
        "A newer database": (
            "tests/store/test_open.py::test_a_file_that_is_not_ours_or_broken_is_refused_and_left_as_it_is",
        ),
        "Acknowledged writes": (
            "tests/store/test_crash.py::test_the_power_goes_at_any_moment",
            "tests/store/test_kill.py::test_what_was_acknowledged_survives_ten_kills",
        ),
        "Several processes": (
            "tests/supervisor/test_attach.py::test_first_is_the_node_and_second_reaches_it_by_its_socket",
            "tests/system/test_processes.py::test_two_sessions_and_a_command_share_one_database",
        ),
        "One agent among many": (
            "tests/api/test_routes_audit.py::test_beyond_its_rate_an_agent_gets_429_until_it_has_waited",
            "tests/api/test_routes_audit.py::test_what_no_waiting_helps_against_has_no_time_to_wait",
            "tests/api/test_routes_audit.py::test_a_write_that_would_wait_too_long_is_429_at_once",
            "tests/service/test_auditing.py::test_rows_tell_who_did_what_and_never_a_text",
        ),
        "Vector index": (
            "tests/service/test_indexer_files.py::test_a_large_index_is_reopened_and_only_what_changed_is_read",
        ),
    },
    "Namespaces and policies": {
        "Which policy holds": (
            "tests/service/test_writing.py::test_the_nearest_policy_denies_whoever_is_not_the_owner",
            "tests/service/test_writing.py::test_a_nearer_policy_wins_over_one_farther_up",
            "tests/governance/test_policies.py::test_the_nearest_policy_is_that_of_the_longest_path",
        ),
        "What a policy governs": (
            "tests/service/test_writing.py::test_in_bulk_each_item_is_stored_refused_or_waits_by_itself",
            "tests/service/test_writing.py::test_moving_a_memory_is_a_delete_where_it_was_and_a_write_where_it_comes",
        ),
        "A policy that cannot be read": (
            "tests/service/test_writing.py::test_a_policy_that_cannot_be_read_denies",
            "tests/service/test_rulemaking.py::test_a_policy_that_cannot_be_read_is_shown_as_such_and_set_anew",
        ),
        "Where a policy is kept": (
            "tests/service/test_standards.py::test_a_policy_outlives_its_standard",
        ),
        "Policy where none is set": (
            "tests/service/test_standards.py::test_where_nothing_is_set_no_policy_is_made_up",
        ),
        "Setting and clearing": (
            "tests/service/test_rulemaking.py::test_only_the_owner_sets_a_policy_anew_or_clears_it",
            "tests/service/test_rulemaking.py::test_a_proven_agent_rules_at_and_below_its_home_only",
            "tests/service/test_rulemaking.py::test_a_change_of_a_policy_may_need_approval",
        ),
        "Owner of a policy": (
            "tests/service/test_rulemaking.py::test_whoever_sets_first_is_the_owner_and_stays",
        ),
        "Setting: what is written": (
            "tests/service/test_rulemaking.py::test_a_bad_field_is_named_and_nothing_is_written",
            "tests/service/test_rulemaking.py::test_standard_and_policy_are_one_op",
        ),
        "A policy that locks everybody out": (
            "tests/service/test_rulemaking.py::test_a_policy_that_locks_everybody_out_needs_force",
        ),
        "A malformed policy": (
            "tests/governance/test_policies.py::test_a_malformed_policy_names_its_field",
            "tests/service/test_rulemaking.py::test_a_policy_is_answered_complete",
        ),
        "Parents in circles": (
            "tests/service/test_standards.py::test_parents_in_circles_end",
        ),
        "Standards given to agents": (
            "tests/service/test_standards.py::test_standards_come_beside_what_is_recalled",
            "tests/service/test_standards.py::test_only_visible_live_and_short_standards_are_given",
        ),
        "Standards that are put away": (
            "tests/service/test_standards.py::test_what_is_done_to_many_leaves_standards_alone",
            "tests/service/test_standards.py::test_a_standard_is_not_consolidated",
            "tests/service/test_standards.py::test_deleting_or_archiving_a_standard_warns",
        ),
    },
    "HTTP": {
        "Malformed, missing or wrong JSON; wrong media type; body too large": (
            "tests/api/test_app.py::test_bad_body_is_refused_before_the_handler",
            "tests/api/test_app.py::test_body_of_another_media_type_is_415",
            "tests/api/test_app.py::test_body_above_the_limit_is_413_and_at_the_limit_is_read",
        ),
        "Unknown path or method": (
            "tests/api/test_app.py::test_unknown_path_is_404_as_json",
            "tests/api/test_app.py::test_wrong_method_is_405_with_what_is_allowed",
        ),
        "POST /archive without ids": (
            "tests/api/test_compatibility.py::test_a_refusal_has_its_status_and_writes_nothing",
            (
                "tests/service/test_archive.py::"
                "test_an_archive_of_many_takes_the_known_and_names_the_missing_in_one_transaction"
            ),
        ),
        "Unknown tier in a body": (
            "tests/api/test_compatibility.py::test_a_refusal_has_its_status_and_writes_nothing",
        ),
        "API key in the query": ("tests/api/test_guard.py::test_key_in_the_url_is_refused_with_a_reason",),
        "Host and Origin on loopback": (
            "tests/api/test_guard.py::test_loopback_listener_refuses_other_names",
            "tests/api/test_guard.py::test_pages_from_elsewhere_are_refused_on_loopback",
        ),
        "GET /health": (
            "tests/api/test_routes.py::test_health_needs_no_key_and_the_rest_does",
            "tests/service/test_overview.py::test_an_empty_node_is_well",
        ),
        "GET /memories: since, until": ("tests/api/test_routes.py::test_bad_parameter_is_400_with_the_envelope",),
        "GET /memories, as_agent": (
            "tests/service/test_visibility.py::test_a_reader_as_an_agent_sees_just_its_rows_of_the_table",
        ),
        "POST /forget without a body": (
            "tests/api/test_compatibility.py::test_forget_takes_its_filters_from_the_query_without_a_body",
        ),
        "POST /forget: storage errors": (
            "tests/api/test_compatibility.py::test_a_store_that_fails_is_503_and_tells_nothing_of_itself",
        ),
        "PUT: expires_at empty": ("tests/api/test_compatibility.py::test_an_empty_expiry_clears_it",),
        "DELETE /memories/{id}": (
            "tests/api/test_compatibility.py::test_a_store_that_fails_is_503_and_tells_nothing_of_itself",
        ),
        "POST /check_duplicate without a model": (
            "tests/api/test_graph_routes.py::test_a_duplicate_is_told_and_what_cannot_be_told_is_503",
        ),
        "POST /kg/invalidate of what is not there": (
            "tests/api/test_graph_routes.py::test_a_link_that_is_not_there_is_404_with_the_triple",
        ),
        "POST /promote": ("tests/api/test_routes.py::test_promote_with_and_without_a_body",),
        "GET /recall": ("tests/api/test_routes.py::test_get_recall_touches_nothing_and_both_take_touch",),
        "DELETE /links": (
            "tests/service/test_linking.py::test_taking_back_names_one_relation_and_what_does_not_stand_is_no_error",
        ),
        "GET /archive: tags": ("tests/api/test_compatibility.py::test_tags_in_the_archive_are_an_array",),
        "DELETE /archive without parameters": (
            "tests/api/test_routes.py::test_purge_wants_to_be_told_how_much",
            "tests/api/test_compatibility.py::test_a_refusal_has_its_status_and_writes_nothing",
        ),
        "POST /import: author": (
            "tests/service/test_transfer.py::test_authors_become_the_caller_unless_the_source_is_trusted",
        ),
        "POST /memories/bulk": (
            "tests/service/test_bulk.py::test_items_are_stored_as_single_stores_are",
            "tests/service/test_bulk.py::test_all_items_share_one_transaction",
            "tests/service/test_bulk.py::test_a_title_that_comes_twice_is_one_memory",
        ),
        "POST /memories/bulk: an item of another type": (
            "tests/service/test_bulk.py::test_a_refused_item_leaves_nothing_and_does_not_hinder_the_others",
        ),
        "POST /session/start without a body": (
            "tests/api/test_routes_agents.py::test_a_session_starts_with_and_without_a_body",
        ),
        "POST /notify: priority": (
            "tests/service/test_messages.py::test_a_bad_message_is_refused_and_nothing_is_written",
        ),
        "POST /notify: fields": (
            "tests/service/test_messages.py::test_the_shapes_of_other_clients_are_taken",
            "tests/api/test_compatibility.py::test_a_message_is_sent_in_either_shape",
        ),
        "POST /subscriptions: events": ("tests/service/test_subscriptions.py::test_events_are_a_text_or_a_list",),
        "DELETE /subscriptions/{id}": (
            "tests/api/test_routes_subscriptions.py::test_a_subscription_is_made_listed_and_taken_back",
        ),
        "GET /agents": ("tests/service/test_agents.py::test_pages_of_the_list_follow_each_other",),
        "POST /pending/{id}/approve": (
            "tests/api/test_routes_approvals.py::test_each_refusal_of_a_vote_has_its_own_status_and_code",
        ),
        "POST /pending/{id}/reject": (
            "tests/api/test_routes_approvals.py::test_each_refusal_of_a_vote_has_its_own_status_and_code",
        ),
        "GET /pending": (
            "tests/service/test_approvals.py::test_a_list_is_narrowed_and_paged",
            "tests/api/test_routes_approvals.py::test_bad_input_is_refused_and_writes_nothing",
        ),
        "Text of 500": ("tests/api/test_app.py::test_unexpected_exception_is_500_and_logged_once_without_its_text",),
        "Idempotency-Key": (
            "tests/api/test_routes.py::test_repeated_request_with_its_key_is_answered_from_the_first",
            "tests/service/test_remember.py::test_a_key_for_another_body_is_refused",
        ),
        "Slow requests and shutdown": (
            "tests/api/test_app.py::test_request_past_its_deadline_is_503_and_says_whether_it_may_have_been_done",
            "tests/api/test_app.py::test_shutting_down_refuses_further_requests",
            "tests/supervisor/test_tree.py::test_request_in_progress_is_answered_before_anything_inside_ends",
        ),
        "No room on the disk": (
            "tests/store/test_faults.py::test_a_full_disk_refuses_writes_and_the_store_goes_on_when_there_is_room",
            "tests/api/test_app.py::test_every_code_has_a_status",
        ),
    },
    "Command line": {
        "Exit status": ("tests/cli/test_main.py::test_an_error_of_the_node_is_a_sentence_and_its_family_s_status",),
        "Queued actions": ("tests/cli/test_main.py::test_a_queued_action_is_shown_and_has_status_3",),
        "Default database": (
            "tests/config/test_loader.py::test_the_database_is_the_local_file_if_it_exists_else_in_the_data_folder",
            "tests/config/test_loader.py::test_the_database_of_a_flag_beats_variable_file_and_local_file",
        ),
        "Configuration": (
            "tests/config/test_loader.py::test_a_bad_file_is_refused_naming_line_and_key",
            "tests/config/test_loader.py::test_without_any_source_every_slice_has_its_default_and_nothing_is_created",
        ),
        "Invalid --tier of update and list": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "recall --budget-tokens 0": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "recall --limit above 50": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "search, list --limit above 1000": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "delete, promote by prefix": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "archive restore of an unknown id with --json": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "archive purge without a choice": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "import with refused items": ("tests/cli/test_transfer.py::test_refused_items_are_named_and_the_others_kept",),
        "A public address without TLS": (
            "tests/supervisor/test_listeners.py::test_public_address_without_tls_is_refused",
        ),
        "SIGTERM": ("tests/system/test_processes.py::test_daemon_answers_where_it_says_and_ends_calmly_at_sigterm",),
        "bench": (
            "tests/cli/test_benching.py::test_json_has_the_older_systems_shape_and_more",
            "tests/operations/test_latency.py::test_every_operation_is_timed_as_often_as_asked",
        ),
        "AI_MEMORY_ANONYMIZE": (
            "tests/mcp/test_identity.py::test_an_anonymized_process_tells_neither_host_nor_client",
            "tests/cli/test_compatibility.py::test_a_name_that_is_made_tells_no_host_if_asked",
        ),
        "--db-passphrase-file": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "RUST_LOG": ("tests/cli/test_compatibility.py::test_the_variable_of_another_programs_log_is_not_read",),
        "A named database that is not there": (
            "tests/cli/test_main.py::test_a_named_database_that_is_not_there_is_not_begun_by_who_looks_into_it",
        ),
        "forget --tier of an unknown word": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "forget on a terminal": (
            "tests/cli/test_curation_verbs.py::test_on_a_terminal_it_shows_and_asks_first",
            "tests/cli/test_curation_verbs.py::test_it_does_not_ask_if_told_so_or_if_a_program_reads",
        ),
        "auto-consolidate on a terminal": (
            "tests/cli/test_curation_verbs.py::test_auto_consolidate_on_a_terminal_shows_and_asks_first",
            "tests/cli/test_curation_verbs.py::test_auto_consolidate_does_not_ask_if_told_so_or_if_a_program_reads",
        ),
        "auto-consolidate": (
            "tests/service/test_autoconsolidating.py::test_groups_are_disjoint_the_largest_first_and_of_one_audience",
            "tests/service/test_autoconsolidating.py::test_entities_and_the_systems_namespaces_are_left_alone",
            "tests/service/test_autoconsolidating.py::test_a_line_is_cut_between_characters_and_a_hundred_lines_fit",
            "tests/service/test_autoconsolidating.py::test_a_title_that_is_taken_gets_a_suffix",
        ),
        "curator --interval-secs out of range": (
            "tests/cli/test_curation_verbs.py::test_a_curator_without_one_mode_or_within_no_range_is_a_usage_error",
        ),
        "backup": (
            "tests/store/test_soundness.py::test_a_copy_of_a_database_that_is_written_to_is_one_moment_of_it",
            "tests/operations/test_backups.py::test_a_damaged_backup_does_not_count_is_said_and_saves_an_older_one",
            "tests/operations/test_backups.py::test_backups_of_another_database_in_the_folder_are_left_alone",
            "tests/operations/test_backups.py::test_a_damaged_database_is_not_backed_up_and_no_backup_goes",
        ),
        "restore": (
            "tests/operations/test_restoring.py::test_a_database_that_another_process_holds_is_not_touched",
            "tests/operations/test_restoring.py::test_a_log_of_the_old_database_is_never_played_into_the_new_one",
            "tests/operations/test_restoring.py::test_of_a_folder_a_damaged_backup_is_passed_over_and_said",
            "tests/abuse/test_killed_keeping.py::test_a_killed_restore_leaves_the_old_database_or_the_new_one",
        ),
        "restore --skip-verify": (
            "tests/operations/test_restoring.py::test_without_its_manifest_a_file_still_has_to_be_a_sound_database",
        ),
        "A database restored into a mesh": (
            "tests/operations/test_restoring.py::test_the_node_goes_on_under_a_new_key_that_the_old_one_signed",
            "tests/operations/test_restored_nodes.py::test_a_restored_node_loses_nothing_and_brings_nothing_back",
            "tests/operations/test_restored_nodes.py::test_a_restored_node_that_writes_alone_forks_nothing",
        ),
        "A filter by several tags": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "--expires-at with --ttl-secs": (
            "tests/cli/test_compatibility.py::test_what_is_refused_has_its_status_and_changes_nothing",
        ),
        "sync": (
            "tests/cli/test_syncing.py::test_a_pull_brings_what_is_new_or_newer_and_restamps_it",
            "tests/cli/test_syncing.py::test_a_push_gives_what_is_here_and_never_an_older_text",
            "tests/cli/test_syncing.py::test_what_was_deleted_here_is_never_brought_back",
            "tests/cli/test_syncing.py::test_a_dry_run_says_what_then_happens_and_changes_nothing",
        ),
        "mine: long conversations": (
            "tests/cli/test_mining.py::test_parts_hold_everything_within_the_bounds_of_memories",
        ),
        "mine: conversations of one title": (
            "tests/cli/test_mining.py::test_conversations_of_one_title_stay_apart_also_beside_memories_of_that_title",
        ),
        "mine: dates": ("tests/cli/test_mining.py::test_times_in_whatever_form",),
        "mine: branches of an answer": (
            "tests/cli/test_mining.py::test_only_the_branch_that_was_open_last_is_what_was_said",
        ),
        "mine: a second time": (
            "tests/cli/test_mining.py::test_a_chatgpt_export_of_ten_thousand_messages_mined_twice_gives_one_set",
            "tests/cli/test_mining.py::test_bad_conversations_are_named_and_the_others_kept",
        ),
        "shell: delete": ("tests/cli/test_shell.py::test_delete_shows_what_goes_and_asks",),
        "shell: recall": ("tests/cli/test_shell.py::test_verbs_and_their_short_forms_are_carried_out_line_by_line",),
    },
    "MCP": {
        "Protocol": ("tests/mcp/test_protocol.py::test_each_protocol_version_that_a_client_asks_for_is_negotiated",),
        "A call before the handshake": (
            "tests/mcp/test_protocol.py::test_a_call_before_the_handshake_is_refused",
            "tests/mcp/test_protocol.py::test_the_protocol_without_a_handshake_is_served_to_who_speaks_it",
        ),
        "Capabilities": ("tests/mcp/test_resources.py::test_a_page_of_memories_is_listed_with_importance_and_time",),
        "Transport": (
            (
                "tests/supervisor/test_mcpdoor.py::"
                "test_a_client_stores_and_finds_through_both_doors_and_the_metrics_count_it"
            ),
        ),
        "tools/list": (
            "tests/mcp/test_protocol.py::test_a_profile_shows_its_tools_and_the_version_of_that_list",
            "tests/mcp/test_http.py::test_the_address_chooses_the_profile_and_a_tool_works_though_it_is_not_listed",
        ),
        "toolsVersion": ("tests/mcp/test_protocol.py::test_a_profile_shows_its_tools_and_the_version_of_that_list",),
        "Annotations and titles of tools": (
            "tests/mcp/test_protocol.py::test_tools_are_published_with_schema_and_hints",
        ),
        "Batches": (
            "tests/mcp/test_protocol.py::test_a_line_that_cannot_be_served_is_answered_and_the_session_goes_on",
        ),
        "Requests with a null id": (
            "tests/mcp/test_protocol.py::test_a_call_without_an_id_is_neither_executed_nor_answered",
        ),
        "notifications/initialized with an id": (
            "tests/mcp/test_protocol.py::test_a_line_that_cannot_be_served_is_answered_and_the_session_goes_on",
        ),
        "Arguments of the wrong type": (
            "tests/mcp/test_schema.py::test_a_wrong_argument_is_named_with_what_was_given_and_what_is_allowed",
        ),
        "Arguments that the tool does not know": (
            "tests/mcp/test_schema.py::test_a_wrong_argument_is_named_with_what_was_given_and_what_is_allowed",
            "tests/mcp/test_tools.py::test_delete_takes_no_identity_from_its_arguments",
        ),
        "memory_update without a change": (
            "tests/mcp/test_tools.py::test_update_without_a_change_is_refused_with_what_can_change",
        ),
        "Unknown format": ("tests/mcp/test_tools.py::test_an_unknown_format_is_refused_with_the_known_ones",),
        "memory_consolidate: a link for each source": (
            "tests/service/test_consolidating.py::test_the_sources_go_to_the_archive_and_the_new_memory_names_them",
        ),
        "memory_forget: an unknown tier": (
            "tests/mcp/test_curation_tools.py::test_an_argument_that_cannot_be_meant_so_forgets_nothing",
        ),
        "Table formats": (
            "tests/mcp/test_toon.py::test_a_compact_table_has_the_columns_of_old_and_the_content_at_the_end",
            (
                "tests/mcp/test_toon.py::"
                "test_the_compact_table_shows_the_beginning_of_a_long_content_and_says_how_much_is_missing"
            ),
        ),
        "Tables: tags": ("tests/mcp/test_toon.py::test_every_table_reads_back_as_what_was_written",),
        "memory_update: expires_at": (
            "tests/mcp/test_tools.py::test_update_clears_the_expiry_by_null_and_by_an_empty_text_and_else_leaves_it",
        ),
        "memory_store": (
            "tests/service/test_remember.py::test_an_upsert_never_lowers_priority_confidence_or_tier_and_says_so",
        ),
        "memory_agent_register: agent_type": (
            "tests/mcp/test_tools_agents.py::test_an_agent_is_registered_by_the_connection",
            "tests/service/test_agents.py::test_the_types_of_v063_are_taken",
        ),
        "memory_inbox: agent_id": (
            "tests/mcp/test_tools_agents.py::test_only_a_connection_without_an_identity_says_whose_inbox",
        ),
        "memory_notify: priority": ("tests/mcp/test_tools_agents.py::test_a_priority_out_of_range_is_refused",),
        "memory_pending_list: status": (
            "tests/mcp/test_tools_approvals.py::test_a_list_without_a_status_holds_all",
        ),
        "memory_session_start: summary": (
            "tests/mcp/test_tools_agents.py::test_a_session_starts_with_a_table_that_has_the_summary",
        ),
        "memory_store: autonomous_hooks": (
            "tests/service/test_hooks.py::test_a_new_memory_is_tagged_after_its_answer",
            "tests/service/test_hooks.py::test_confirmed_contradictions_come_beside_the_tags",
            "tests/service/test_hooks.py::test_what_was_written_meanwhile_is_kept",
        ),
        "memory_auto_tag": (
            "tests/language/test_answers.py::test_tags_are_made_to_fit_or_left_out",
            "tests/service/test_insight.py::test_tags_never_pass_the_limit_of_a_memory",
        ),
        "memory_detect_contradiction": ("tests/service/test_insight.py::test_a_comparison_judges_without_a_model",),
        "memory_expand_query, memory_auto_tag": (
            "tests/service/test_insight.py::test_without_a_model_tags_and_words_are_refused_with_one_code",
        ),
        "memory_recall": ("tests/service/test_compatibility.py::test_recall_leaves_collecting_to_the_clock",),
        "Writes": ("tests/mcp/test_clients.py::test_a_client_drives_every_tool_and_http_shows_what_it_did",),
        "Start": ("tests/mcp/test_protocol.py::test_a_handshake_touches_no_node",),
        "Tier": ("tests/config/test_loader.py::test_a_flag_beats_a_variable_and_a_variable_beats_the_file",),
        "Numbers beyond 32 bits": (
            "tests/mcp/test_schema.py::test_a_wrong_argument_is_named_with_what_was_given_and_what_is_allowed",
        ),
    },
    "Quorum": {
        "W greater than N": (
            "tests/config/test_mesh.py::test_what_cannot_be_a_mesh_is_refused_at_the_start",
        ),
        "This node among its peers": (
            "tests/config/test_mesh.py::test_what_cannot_be_a_mesh_is_refused_at_the_start",
            "tests/service/test_mesh.py::test_a_peer_that_is_this_node_or_another_peer_does_not_count",
        ),
        "An acknowledgement": (
            "tests/service/test_mesh.py::test_a_write_is_on_w_nodes_when_it_is_acknowledged",
            "tests/replication/test_quorum.py::test_a_peer_counts_if_it_has_the_op_applied_and_says_so",
        ),
        "quorum_not_met": (
            "tests/service/test_mesh.py::test_a_write_that_cannot_reach_enough_nodes_stores_nothing",
            (
                "tests/service/test_mesh.py::"
                "test_a_write_whose_answers_are_lost_is_indeterminate_and_its_retry_makes_nothing_new"
            ),
        ),
        "Too few nodes in reach": (
            "tests/service/test_mesh.py::test_a_write_that_cannot_reach_enough_nodes_stores_nothing",
        ),
        "A retry after it": (
            (
                "tests/service/test_mesh.py::"
                "test_a_write_whose_answers_are_lost_is_indeterminate_and_its_retry_makes_nothing_new"
            ),
            "tests/service/test_mesh.py::test_a_retry_on_another_node_makes_the_same_memory",
        ),
        "Writes of other doors": (
            (
                "tests/api/test_routes_mesh.py::"
                "test_what_follows_a_position_has_ops_of_every_kind_and_without_one_memories"
            ),
            "tests/house/test_one_road.py::test_nothing_writes_ops_but_by_the_road_that_judges_them",
        ),
    },
    "Other nodes": {
        "Deletes": (
            "tests/service/test_mesh.py::test_every_write_reaches_every_node_whoever_was_away",
            "tests/api/test_routes_mesh.py::test_a_deleted_memory_does_not_come_back_from_a_node_of_v063",
        ),
        "Catching up": (
            "tests/service/test_mesh.py::test_every_write_reaches_every_node_whoever_was_away",
            (
                "tests/replication/test_peer.py::"
                "test_whatever_happens_a_peer_that_comes_back_is_sent_everything_in_the_end"
            ),
        ),
        "Two edits at once": (
            "tests/service/test_mesh.py::test_edits_of_different_fields_on_two_sides_both_survive",
            "tests/service/test_mesh.py::test_a_lost_edit_is_kept_as_a_conflict_and_shown",
        ),
        "A clock that is wrong": (
            "tests/service/test_mesh.py::test_a_node_whose_clock_is_off_refuses_to_write",
            "tests/replication/test_intake.py::test_a_writer_whose_clock_leaps_is_refused_at_first_hand_only",
        ),
        "Key": (
            "tests/replication/test_road.py::test_the_key_of_the_mesh_is_sent",
        ),
        "POST /sync/push": (
            "tests/api/test_routes_mesh.py::test_a_body_of_v063_becomes_writes_of_this_node",
        ),
        "POST /sync/push: pendings": (
            "tests/service/test_legacy.py::test_what_waits_at_a_peer_waits_here_under_its_id_and_is_not_done",
            (
                "tests/service/test_legacy.py::"
                "test_what_no_policy_here_asks_about_or_cannot_be_read_is_refused_and_leaves_nothing"
            ),
        ),
        "POST /sync/push: pending_decisions": (
            "tests/service/test_legacy.py::test_a_decision_is_its_deciders_vote_while_nobody_has_a_credential",
            "tests/service/test_legacy.py::test_a_decision_is_refused_once_agents_have_keys",
        ),
        "Votes": (
            "tests/service/test_mesh_holding.py::test_a_consensus_counts_votes_from_several_nodes",
            (
                "tests/service/test_mesh_governance.py::"
                "test_a_vote_on_another_node_is_answered_with_the_outcome_that_its_home_wrote"
            ),
            (
                "tests/service/test_mesh_governance.py::"
                "test_a_vote_while_its_home_is_away_waits_and_is_carried_out_once"
            ),
        ),
        "POST /sync/push: links": (
            "tests/api/test_routes_mesh.py::test_a_body_of_v063_becomes_writes_of_this_node",
        ),
        "GET /sync/since": (
            (
                "tests/api/test_routes_mesh.py::"
                "test_what_follows_a_position_has_ops_of_every_kind_and_without_one_memories"
            ),
        ),
        "sync-daemon": (
            "tests/cli/test_meshing.py::test_the_daemon_that_holds_the_database_is_asked",
        ),
        "sync-daemon --insecure-skip-server-verify": (
            "tests/cli/test_meshing.py::test_servers_are_verified_whatever_is_asked_for",
            "tests/supervisor/test_secured.py::test_a_server_that_cannot_be_verified_is_not_asked",
        ),
        "--quorum-ca-cert": (
            "tests/supervisor/test_secured.py::test_a_server_that_cannot_be_verified_is_not_asked",
            "tests/config/test_tls.py::test_who_signed_the_peers_servers_signed_their_clients_too_unless_told_otherwise",
        ),
        "Half a client certificate": (
            "tests/config/test_tls.py::test_what_does_not_go_together_is_refused_with_the_names_of_the_flags",
        ),
        "Dates of certificates": (
            "tests/supervisor/test_credentials.py::test_a_certificate_that_does_not_hold_now_is_refused",
            "tests/service/test_papers.py::test_health_warns_from_30_days_before_the_end",
            (
                "tests/service/test_papers.py::"
                "test_the_log_tells_of_30_7_and_1_days_and_of_the_end_once_each"
            ),
        ),
        "Certificates, keys and the allowlist": (
            "tests/supervisor/test_wallet.py::test_new_files_are_used_and_told",
            "tests/system/test_tls.py::test_certificates_are_exchanged_and_a_peer_removed_while_all_goes_on",
        ),
        "Local tools under an allowlist": (
            "tests/system/test_tls.py::test_two_daemons_exchange_by_mutual_tls_and_show_it",
        ),
    },
}
