"""How the page of a run looks: the style sheet, and fonts that every machine has."""

from __future__ import annotations

__all__ = ["FONTS", "MONO_FONTS", "STYLE"]

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

STYLE = """
.gradio-container { max-width: none !important; padding: 0 !important; }
.gradio-container .main { max-width: 1600px !important; padding: 12px 24px !important; }
.gradio-container main { padding: 0 !important; }
.gradio-container main .column, .gradio-container main .row { gap: 12px; }
footer { display: none !important; }
#vk-header *, #vk-status .html-container, #vk-table .html-container { padding: 0; }
#vk-header h1 { font-size: 20px; line-height: 1.3; font-weight: 650; margin: 0; overflow-wrap: anywhere; }
#vk-header p { margin: 0; font-size: 14px; line-height: 1.4; color: var(--body-text-color-subdued); }
#vk-header .classes { display: -webkit-box; -webkit-line-clamp: 1; -webkit-box-orient: vertical; overflow: hidden; }
#vk-input { height: 30vh !important; min-height: 180px; flex: none; }
#vk-picture { height: calc(100vh - 92px) !important; min-height: 260px; }
.vk-labels #vk-input { height: calc(100vh - 170px) !important; }
.vk-labels.vk-plain #vk-input { height: calc(100vh - 92px) !important; }
#vk-input img, #vk-picture img { object-fit: contain; }
#vk-status { padding: 0 2px; font-size: 14px; line-height: 1.4; }
#vk-status p { margin: 0; }
#vk-status .found { font-weight: 600; font-size: 18px; overflow-wrap: anywhere; margin-right: 8px; }
#vk-status .error { color: var(--vk-error); background: var(--vk-error-back); border-radius: 6px; padding: 8px 12px; }
#vk-status .note { font-size: 13px; overflow-wrap: anywhere; }
.hint { color: var(--body-text-color-subdued); }
#vk-table { overflow-y: auto; max-height: calc(70vh - 240px); min-height: 0; }
.vk-plain #vk-table { max-height: calc(70vh - 160px); }
.vk-labels #vk-table { max-height: calc(100vh - 140px); }
#vk-table table { width: 100%; border-collapse: collapse; font-size: 14px; line-height: 1.3; margin: 0; }
#vk-table th {
  position: sticky; top: 0; background: var(--body-background-fill); text-align: left; font-weight: 500;
  font-size: 12px; color: var(--body-text-color-subdued); padding: 4px 6px;
}
#vk-table td { padding: 5px 6px; border: 0; border-top: 1px solid var(--border-color-primary); }
#vk-table .number, #vk-table .box { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
#vk-table .name { overflow-wrap: anywhere; }
#vk-table .box { color: var(--body-text-color-subdued); }
#vk-table .swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 8px; }
#vk-table .bar { width: 26%; min-width: 48px; }
.vk-labels #vk-table .bar { width: 55%; }
#vk-table .bar div { height: 8px; border-radius: 4px; background: var(--border-color-primary); overflow: hidden; }
#vk-table .bar i { display: block; height: 100%; border-radius: 4px; }
#vk-table .unlikely .name, #vk-table .unlikely .number { color: var(--body-text-color-subdued); }
#vk-table .unlikely i { opacity: 0.55; }
:root { --vk-error: #9f1c1c; --vk-error-back: #fdecec; }
.dark { --vk-error: #ffc9c9; --vk-error-back: #4a1f1f; }
@media (max-width: 768px) {
  .gradio-container .main { padding: 12px !important; }
  #vk-left, #vk-right { display: contents; }
  #vk-left > *, #vk-right > * { width: 100%; }
  #vk-input { order: 1; } .form:has(#vk-score) { order: 2; } #vk-status { order: 3; }
  #vk-picture { order: 4; } #vk-table { order: 5; }
  #vk-input, .vk-labels #vk-input, .vk-labels.vk-plain #vk-input { height: 28vh !important; min-height: 180px; }
  #vk-picture { height: auto !important; min-height: 200px; max-height: 60vh; }
  #vk-table, .vk-plain #vk-table, .vk-labels #vk-table { max-height: 60vh; }
  #vk-table .box { display: none; }
}
"""
